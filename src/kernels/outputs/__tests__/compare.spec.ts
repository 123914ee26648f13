import { sameOutputs } from '../same-outputs';

describe('sameOutputs', () => {
  it('does not mind what the document leaves out', () => {
    expect(
      sameOutputs(
        [{ output_type: 'stream', name: 'stdout', text: ['a\n', 'b'] }],
        [{ output_type: 'stream', name: 'stdout', text: 'a\nb' }]
      )
    ).toBe(true);
    expect(
      sameOutputs(
        [{ output_type: 'display_data', data: {}, metadata: {} }],
        [{ output_type: 'display_data', data: {}, transient: { a: 1 } }]
      )
    ).toBe(true);
  });

  it('sees another text, another order and one output more', () => {
    const a = { output_type: 'stream', name: 'stdout', text: 'a' };
    const b = { output_type: 'stream', name: 'stdout', text: 'b' };
    expect(sameOutputs([a], [b])).toBe(false);
    expect(sameOutputs([a, b], [b, a])).toBe(false);
    expect(sameOutputs([a], [a, b])).toBe(false);
  });
});
