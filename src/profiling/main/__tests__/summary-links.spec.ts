import { CommandRegistry } from '@lumino/commands';

import { CommandIDs } from '../command-ids';
import { followSummaryLinks } from '../summary-links';

it('a link of an inline summary opens the profile, and no other link does', () => {
  const commands = new CommandRegistry();
  const execute = jest.fn();
  commands.addCommand(CommandIDs.openProfile, { execute });
  followSummaryLinks(commands);
  document.body.innerHTML =
    '<a href="#genops-profile=a%20b"><b>Open</b></a><a href="#top">Top</a>';
  document.querySelector('b')!.click();
  document.querySelectorAll('a')[1].click();
  expect(execute).toHaveBeenCalledTimes(1);
  expect(execute).toHaveBeenCalledWith({ id: 'a b' });
});
