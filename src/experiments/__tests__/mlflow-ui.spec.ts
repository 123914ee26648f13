import { Dialog } from '@jupyterlab/apputils';
import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';

import { CommandIDs } from '../commands';
import { pathOf } from '../mlflow-tab';
import { addMlflowCommand, isThisMachine } from '../mlflow-ui';

const RUN = { run_id: 'r/1', experiment_id: '0' };
const URL_WITH_KEY = 'http://genops:k@127.0.0.1:5601/genops-open';

describe('the command that opens MLflow', () => {
  const commands = new CommandRegistry();
  const answer = { url: URL_WITH_KEY, this_machine: true };
  const service = { mlflowUi: jest.fn(async () => answer) };
  addMlflowCommand({
    commands,
    service,
    trans: nullTranslator.load('genops_lab')
  });

  it('opens the page of a run in a tab that was asked for by the click', async () => {
    const tab = { opener: window, location: { href: '' }, close: jest.fn() };
    const open = jest.spyOn(window, 'open').mockReturnValue(tab as never);
    const done = commands.execute(CommandIDs.openMlflow, RUN);
    expect(open).toHaveBeenCalledWith('', '_blank');
    await done;
    expect(tab.location.href).toBe(`${URL_WITH_KEY}#/experiments/0/runs/r%2F1`);
    expect(tab.opener).toBeNull();
    service.mlflowUi.mockRejectedValueOnce(new Error('away'));
    await commands.execute(CommandIDs.openMlflow);
    expect(tab.close).toHaveBeenCalledTimes(1);
    open.mockReturnValue(null); // a browser that lets none open
    const asked = commands.execute(CommandIDs.openMlflow);
    await new Promise(resolve => setTimeout(resolve, 50));
    const dialog = Dialog.tracker.currentWidget;
    expect(dialog?.node.textContent).toContain('5601:127.0.0.1:5601');
    dialog?.reject();
    await asked;
    open.mockRestore();
  });

  it('knows the addresses of the machine itself', () => {
    const near = ['localhost', '127.0.0.1', '127.0.1.1', '[::1]'];
    expect(near.filter(isThisMachine)).toEqual(near);
    const far = ['hub.example', '127.evil', '10.0.0.1', 'localhost.evil'];
    expect(far.filter(isThisMachine)).toEqual([]);
    expect(pathOf(undefined, 'r')).toBe('');
    expect(pathOf('1', undefined, 'tr-1')).toBe(
      '#/experiments/1/traces?selectedEvaluationId=tr-1'
    );
  });
});
