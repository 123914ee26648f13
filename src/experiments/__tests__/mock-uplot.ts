// jsdom has no canvas to draw on.
jest.mock('uplot', () => ({
  __esModule: true,
  default: class {
    setData() {}
    destroy() {}
  }
}));
