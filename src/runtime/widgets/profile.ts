/**
 * The profile card as an anywidget module with its style, for front ends
 * without GenOps Lab's own.
 */
import base from '../../../style/runtime/card-base.css';
import profile from '../../../style/runtime/card-profile.css';
import { ProfileView } from '../cards/views/profile';

import { anywidget } from './_anywidget';

export default anywidget(ProfileView, [base, profile]);
