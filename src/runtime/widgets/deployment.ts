/**
 * The deployment card as an anywidget module with its style, for front ends
 * without GenOps Lab's own.
 */
import base from '../../../style/runtime/card-base.css';
import deployment from '../../../style/runtime/card-deployment.css';
import { DeploymentView } from '../cards/views/deployment';

import { anywidget } from './_anywidget';

export default anywidget(DeploymentView, [base, deployment]);
