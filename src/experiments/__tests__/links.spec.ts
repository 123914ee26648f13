import { LINKED_RUN, linkedRun, shownLinks, withoutRun } from '../links';
import type { IRunLinks } from '../service';

const LINKS: IRunLinks = {
  run_id: 'abc',
  name: 'fox',
  mlflow: 'https://mlflow.example/#/experiments/1/runs/abc',
  lab: 'lab?genops-run=abc',
  hub: '/hub/user-redirect/lab?genops-run=abc',
  shared: true,
  why: '',
  hint: ''
};
const LAB = 'https://hub.example/team/user/ada/';

describe('links of runs', () => {
  it('give others what opens for them, and oneself the own Lab', () => {
    const onHub = shownLinks(LINKS, {
      baseUrl: LAB,
      shareUrl: 'https://hub.example/team/hub/user-redirect'
    });
    expect(onHub.map(({ url }) => url)).toEqual([
      'https://hub.example/team/hub/user-redirect/lab?genops-run=abc',
      LINKS.mlflow,
      `${LAB}lab?genops-run=abc`
    ]);
    const alone = shownLinks(LINKS, { baseUrl: LAB, shareUrl: '' });
    expect(alone.map(({ kind }) => kind)).toEqual(['mlflow', 'lab']);
    const own = shownLinks(
      { ...LINKS, mlflow: '', shared: false },
      { baseUrl: LAB, shareUrl: '' }
    );
    expect(own).toEqual([{ kind: 'lab', url: `${LAB}lab?genops-run=abc` }]);
  });

  it('are read from an address, and taken out of it', () => {
    const cases: [string, string | null, string][] = [
      ['/lab?genops-run=abc-1', 'abc-1', '/lab'],
      [
        '/lab/tree/a.ipynb?x=1&genops-run=abc#h',
        'abc',
        '/lab/tree/a.ipynb?x=1#h'
      ],
      ['/lab?genops-run=a&reset', 'a', '/lab?reset'],
      ['/lab?genops-run=', null, '/lab'],
      ['/lab?genops-run=a/../b', null, '/lab'],
      ['/lab?genops-run=<script>', null, '/lab'],
      ['/lab?other-genops-run=a', null, '/lab?other-genops-run=a'],
      ['/lab', null, '/lab']
    ];
    for (const [request, run, rest] of cases) {
      expect(linkedRun(request)).toBe(run);
      expect(LINKED_RUN.test(request)).toBe(run !== null);
      expect(withoutRun(request)).toBe(rest);
    }
  });
});
