/** A style sheet as text: it travels inside the widget's own module. */
declare module '*.css' {
  const text: string;
  export default text;
}
