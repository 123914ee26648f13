/**
 * The run card as an anywidget module with its style, for front ends without
 * GenOps Lab's own.
 */
import base from '../../../style/runtime/card-base.css';
import run from '../../../style/runtime/card-run.css';
import { RunView } from '../cards/views/run';

import { anywidget } from './_anywidget';

export default anywidget(RunView, [base, run]);
