import { ServerConnection } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';

import { ApiError } from '../errors';
import { GenOpsApi } from '../request';

const trans = nullTranslator.load('genops_lab');

function apiThat(
  answer: (request: Request) => Promise<Response>,
  baseUrl = 'http://hub.example/user/ada/lab1/'
): GenOpsApi {
  return new GenOpsApi({
    trans,
    serverSettings: ServerConnection.makeSettings({
      baseUrl,
      token: 'secret',
      fetch: input => answer(input as Request)
    })
  });
}

const json = (status: number, body: unknown) =>
  Promise.resolve(
    new Response(JSON.stringify(body), {
      status,
      headers: { 'Content-Type': 'application/json' }
    })
  );

async function failure(call: Promise<unknown>): Promise<ApiError> {
  const reason = await call.then(
    () => undefined,
    error => error
  );
  expect(reason).toBeInstanceOf(ApiError);
  return reason as ApiError;
}

describe('GenOpsApi', () => {
  it('calls below the base URL with the token, and gives the body', async () => {
    document.cookie = '_xsrf=cross';
    let seen: Request | undefined;
    const api = apiThat(request => {
      seen = request;
      return json(200, { rooms: ['compute'] });
    });
    const status = await api.data(api.http.GET('/status'));
    expect(status.rooms).toEqual(['compute']);
    expect(seen?.url).toContain(
      'http://hub.example/user/ada/lab1/genops/v1/status'
    );
    expect(seen?.headers.get('Authorization')).toBe('token secret');
    expect(seen?.headers.get('X-XSRFToken')).toBe('cross');
  });

  it('leaves in the turn in which it is asked, with its body', async () => {
    let seen: Request | undefined;
    const api = apiThat(request => {
      seen = request;
      return json(200, {});
    });
    const asked = api.http.POST('/run-table/completions', {
      body: { text: 'a', position: 1 }
    });
    expect(seen).toBeDefined();
    expect(await seen!.json()).toEqual({ text: 'a', position: 1 });
    await asked;
  });

  it('sends a body as JSON and keeps ids in one path segment', async () => {
    let seen: Request | undefined;
    const api = apiThat(request => {
      seen = request;
      return Promise.resolve(new Response(null, { status: 204 }));
    });
    await api.http.POST('/tasks/{task_id}/cancel', {
      params: { path: { task_id: '../ü' } }
    });
    expect(seen?.method).toBe('POST');
    expect(seen?.url).toContain('/genops/v1/tasks/..%2F%C3%BC/cancel');
  });

  it("turns the server's error into one with a hint", async () => {
    const api = apiThat(() =>
      json(409, {
        error: {
          code: 'conflict',
          message: 'digits is being deployed.',
          hint: 'Wait for it.',
          details: { name: 'digits' }
        }
      })
    );
    const error = await failure(api.http.GET('/status'));
    expect(error).toMatchObject({
      status: 409,
      code: 'conflict',
      message: 'digits is being deployed.',
      hint: 'Wait for it.',
      details: { name: 'digits' }
    });
    expect(error.transient).toBe(false);
  });

  it.each([
    [404, '{"message": "Not Found", "reason": null}', 'server_side_missing'],
    [404, '<html>404</html>', 'server_side_missing'],
    [403, '{"message": "Forbidden"}', 'signed_out'],
    [503, '<html>hub</html>', 'gateway'],
    [500, '{"message": "Internal Server Error"}', 'http']
  ])('tells who answered: %s %s', async (status, body, code) => {
    const api = apiThat(() =>
      Promise.resolve(new Response(body, { status: status as number }))
    );
    const error = await failure(api.http.GET('/status'));
    expect(error.code).toBe(code);
    expect(error.status).toBe(status);
    expect(error.transient).toBe(true);
  });

  it('calls no answer at all a network failure', async () => {
    const api = apiThat(() => Promise.reject(new TypeError('Failed to fetch')));
    const error = await failure(api.http.GET('/status'));
    expect(error).toMatchObject({ status: 0, code: 'network' });
    expect(error.hint).not.toBe('');
  });
});
