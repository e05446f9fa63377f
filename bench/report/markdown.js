import { escaped } from './svg.js';

/** What `about` may have: code, emphasis, strong words and links. As HTML. */
export function inlineHtml(text) {
  return text
    .split(/(`[^`]*`)/)
    .map((part) =>
      part.startsWith('`') ? `<code>${escaped(part.slice(1, -1))}</code>` : emphasized(escaped(part)),
    )
    .join('');
}

function emphasized(text) {
  return text
    .replace(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>')
    .replace(/\*([^*]+)\*/g, '<em>$1</em>')
    .replace(/_([^_\s][^_]*)_(?!\w)/g, '<em>$1</em>')
    .replace(/\[([^\]]+)\]\((https?:[^)]+)\)/g, '<a href="$2">$1</a>');
}

/** A cell of a markdown table. What looks like a tag would not be seen. */
export function cell(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('|', '\\|').replaceAll('\n', ' ');
}
