/** A style sheet as text, which travels inside the widget's module. */
declare module '*.css' {
  const text: string;
  export default text;
}
