import widget from '../../../widgets/deployment';

import { frame, Model } from './model';

describe('the deployment widget', () => {
  let model: Model;
  let el: HTMLElement;
  let end: () => void;

  beforeEach(() => {
    model = new Model({
      name: 'digits',
      model: 'm <b>',
      version: '3',
      state: 'preparing',
      url: '',
      requests: 0,
      errors: 0,
      latency_ms: null,
      lease_until: 0,
      message: 'Building its environment',
      hint: ''
    });
    el = document.body.appendChild(document.createElement('div'));
    end = widget.render({ model, el });
  });

  afterEach(() => {
    end();
    el.remove();
  });

  const facts = () =>
    [...el.querySelectorAll('dt')]
      .filter(term => !term.hidden)
      .map(term => [
        term.textContent,
        term.nextElementSibling?.textContent?.trim()
      ]);
  const run = async () => {
    model.set('state', 'running');
    model.set('message', '');
    model.set('url', 'http://127.0.0.1:5005');
    model.set('requests', 12);
    model.set('errors', 1);
    model.set('latency_ms', 3.25);
    await frame();
  };

  it('shows what is known while it starts', () => {
    expect(el.querySelector('[role=status]')?.textContent).toBe('Preparing');
    expect(facts()).toEqual([['Model', 'm <b>, version 3']]);
    expect(el.querySelector('.gol-view-message')?.textContent).toBe(
      'Building its environment'
    );
  });

  it('follows the kernel', async () => {
    await run();
    expect(el.querySelector('[role=status]')?.textContent).toBe('Running');
    expect(facts()).toEqual([
      ['Model', 'm <b>, version 3'],
      ['URL', 'http://127.0.0.1:5005Copy'],
      ['Requests', '12, 1 error'],
      ['Median latency', '3.25 ms']
    ]);
    expect(el.querySelector<HTMLElement>('.gol-view-message')?.hidden).toBe(
      true
    );
  });

  it('copies the URL, or selects it where there is no clipboard', async () => {
    await run();
    const writeText = jest.fn().mockResolvedValueOnce(undefined);
    writeText.mockRejectedValueOnce(new Error('not allowed'));
    Object.assign(navigator, { clipboard: { writeText } });
    const button = el.querySelector('button') as HTMLButtonElement;
    const said = el.querySelector('dd [role=status]');
    button.click();
    await frame();
    expect(writeText).toHaveBeenCalledWith('http://127.0.0.1:5005');
    expect(said?.textContent).toBe('Copied');
    button.click();
    await frame();
    expect(said?.textContent).toMatch(/^Selected/);
    expect(getSelection()?.toString()).toBe('http://127.0.0.1:5005');
  });

  it('says why it failed and what to do, and offers no URL', async () => {
    await run();
    model.set('state', 'failed');
    model.set('message', 'It ran out of memory.');
    model.set('hint', 'Take a smaller one.');
    await frame();
    expect(el.querySelector('.gol-view-message')?.textContent).toBe(
      'It ran out of memory.'
    );
    expect(el.querySelector('.gol-deployment-hint')?.textContent).toBe(
      'Take a smaller one.'
    );
    expect(facts().map(([name]) => name)).not.toContain('URL');
  });

  it('leaves nothing behind', () => {
    expect(model.size).toBeGreaterThan(0);
    end();
    expect(model.size).toBe(0);
    expect(el.querySelector('.gol-view')).toBeNull();
  });
});
