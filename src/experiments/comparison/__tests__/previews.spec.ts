import { confined, imageType, previewKind, tableRows } from '../previews';

describe('previews', () => {
  it('knows what can be shown by its name', () => {
    expect(previewKind('a/plot.PNG')).toBe('image');
    expect(previewKind('a.csv')).toBe('table');
    expect(previewKind('report.html')).toBe('html');
    expect(previewKind('model/MLmodel')).toBe('text');
    expect(previewKind('weights.bin')).toBeNull();
    expect(previewKind('png')).toBeNull();
    expect(imageType('x.svg')).toBe('image/svg+xml');
  });

  it('reads separated values with their quotes', () => {
    expect(tableRows('a.csv', '\uFEFFa,b\n"1,5","x\ny"\n')).toEqual([
      ['a', 'b'],
      ['1,5', 'x\ny']
    ]);
    expect(tableRows('a.tsv', 'a\tb')).toEqual([['a', 'b']]);
  });

  it('puts the policy before anything of the page', () => {
    const page = confined('<html><head><script>1</script>');
    expect(page.indexOf("default-src 'none'")).toBeLessThan(
      page.indexOf('<script>')
    );
    expect(page).not.toContain('script-src');
  });
});
