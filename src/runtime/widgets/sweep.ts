/**
 * The sweep card as an anywidget module with its style, for front ends without
 * GenOps Lab's own.
 */
import base from '../../../style/runtime/card-base.css';
import run from '../../../style/runtime/card-run.css';
import sweep from '../../../style/runtime/card-sweep.css';
import { SweepView } from '../cards/views/sweep';

import { anywidget } from './_anywidget';

export default anywidget(SweepView, [base, run, sweep]);
