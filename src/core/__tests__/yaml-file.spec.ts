import { ServerConnection } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';

import { unreadable } from '../yaml-file';

const trans = nullTranslator.load('genops_lab');

describe('a file that cannot be read', () => {
  it('is named with the reason', () => {
    const error = unreadable('a/b.yaml', new Error('No such file'), trans);
    expect(error.message).toBe('The file a/b.yaml cannot be read.');
    expect(error.hint).toBe('No such file');
  });

  it('is not blamed where the server is away', () => {
    const away = new ServerConnection.NetworkError(
      new TypeError('Failed to fetch')
    );
    expect(unreadable('a/b.yaml', away, trans)).toMatchObject({
      code: 'network',
      message: 'The Jupyter server does not answer.'
    });
  });
});
