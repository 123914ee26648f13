jest.mock('../../core/ui/confirm', () => ({ confirm: jest.fn() }));
