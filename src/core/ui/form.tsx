import * as React from 'react';

/** A form: Enter and its submit button call `onSubmit`, and the page stays. */
export const Form = React.forwardRef<HTMLFormElement, Form.IProps>(
  function Form(props, ref): React.ReactElement {
    const { onSubmit, busy, className = 'gol-Form', ...others } = props;
    return (
      <form
        {...others}
        ref={ref}
        className={className}
        aria-busy={busy}
        onSubmit={event => {
          event.preventDefault();
          onSubmit();
        }}
      />
    );
  }
);

export namespace Form {
  export interface IProps extends Omit<
    React.FormHTMLAttributes<HTMLFormElement>,
    'onSubmit'
  > {
    onSubmit: () => void;
    /** Whether what was sent is not answered yet. */
    busy?: boolean;
  }
}
