/**
 * ESLint rule: a sentence is translated whole (docs/writing.md). Other languages order words differently, so a
 * translated part is never joined with other words by a space, by `+` or inside another translated string.
 */
const WHOLE = /[.!?…:)]$/;
/** Text beside a part that makes one phrase of both; punctuation and line ends separate phrases. */
const JOINS = /^ +$|^ *[\p{L}\p{N}]|[\p{L}\p{N}] *$/u;

/** The text of a translated part, null for other expressions. */
function translated(node) {
  const method = node.type === 'CallExpression' && node.callee.property?.name;
  const [text] = /^_[_n]$|^_?[np]+gettext$|^gettext$/.test(method || '')
    ? node.arguments
    : [];
  return text?.type === 'Literal' ? String(text.value) : null;
}

/** Whether a part is a fragment: a whole sentence may stand beside another one. */
function isFragment(node) {
  const text = translated(node);
  return text !== null && !WHOLE.test(text);
}

module.exports = {
  meta: {
    type: 'problem',
    docs: { description: 'Translate a sentence whole' },
    schema: [],
    messages: {
      glued:
        'Translate the whole sentence in one string with %1, %2: other languages order the parts differently.'
    }
  },
  create(context) {
    const report = node => context.report({ node, messageId: 'glued' });
    return {
      "BinaryExpression[operator='+']"(node) {
        [node.left, node.right].filter(isFragment).forEach(report);
      },
      TemplateLiteral({ expressions, quasis }) {
        expressions.forEach((part, at) => {
          const [before, after] = [quasis[at], quasis[at + 1]].map(
            ({ value }) => value.cooked
          );
          if (isFragment(part) && (JOINS.test(before) || JOINS.test(after))) {
            report(part);
          }
        });
      },
      'CallExpression[callee.property.name="join"]'({
        callee,
        arguments: [by]
      }) {
        if (callee.object.type === 'ArrayExpression' && by?.value === ' ') {
          callee.object.elements
            .filter(Boolean)
            .filter(isFragment)
            .forEach(report);
        }
      },
      CallExpression(node) {
        const whole = translated(node);
        if (whole === null || node.callee.property.name !== '__') {
          return;
        }
        node.arguments.slice(1).forEach((part, at) => {
          const around = whole.split(`%${at + 1}`);
          if (isFragment(part) && around.some(text => JOINS.test(text))) {
            report(part);
          }
        });
      }
    };
  }
};
