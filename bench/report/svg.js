// What all pictures are made of. Text has no measured width here, so that it is estimated, rather too wide.

const CHARACTER = 0.56;
export const FONT = 13;
export const SMALL = 11.5;

export function escaped(text) {
  return String(text).replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

export function widthOf(text, size = FONT) {
  return text.length * size * CHARACTER;
}

/** An element; numbers are rounded, for nobody sees more. */
export function tag(name, attributes, content = '') {
  const text = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? round(value) : escaped(value)}"`)
    .join('');
  return content === '' ? `<${name}${text}/>` : `<${name}${text}>${content}</${name}>`;
}

export function text(x, y, content, kind, anchor) {
  return tag('text', { x, y, class: kind, 'text-anchor': anchor }, escaped(content));
}

export function line(x1, y1, x2, y2, kind) {
  return tag('path', { d: `M${round(x1)} ${round(y1)}L${round(x2)} ${round(y2)}`, class: kind });
}

export function round(value) {
  return Math.round(value * 10) / 10;
}

/** One picture of panels, one below the other, each { height, content }, all as wide as `width`. */
export function stack(panels, width, gap = 18) {
  let at = 0;
  const content = panels.map((panel) => {
    const moved =
      at === 0 ? panel.content : tag('g', { transform: `translate(0 ${round(at)})` }, panel.content);
    at += panel.height + gap;
    return moved;
  });
  return { width, height: at - gap, content: content.join('\n') };
}

/** A picture within a page, whose style gives it its colours. `id` is the page's own. */
export function inlinePicture({ width, height, content }, { id, title, description }) {
  const own = {
    viewBox: `0 0 ${width} ${Math.ceil(height)}`,
    class: 'picture',
    role: 'img',
    'aria-labelledby': `${id}-title ${id}-description`,
  };
  return tag('svg', own, `${named(id, title, description)}\n${content}\n`);
}

const MARGIN = 16;

/** A picture of its own, on a ground of its own: it can't know on which one a page will put it. */
export function pictureFile({ width, height, content }, { title, description, style }) {
  const [wide, high] = [width + 2 * MARGIN, Math.ceil(height) + 2 * MARGIN];
  const own = {
    xmlns: 'http://www.w3.org/2000/svg',
    viewBox: `0 0 ${wide} ${high}`,
    width: wide,
    height: high,
    role: 'img',
    'aria-labelledby': 'the-title the-description',
  };
  const ground = tag('rect', { width: wide, height: high, rx: 8, class: 'ground' });
  const moved = tag('g', { transform: `translate(${MARGIN} ${MARGIN})` }, `\n${content}\n`);
  return `${tag('svg', own, `${named('the', title, description)}\n<style>${style}</style>\n${ground}\n${moved}\n`)}\n`;
}

function named(id, title, description) {
  return (
    tag('title', { id: `${id}-title` }, escaped(title)) +
    tag('desc', { id: `${id}-description` }, escaped(description))
  );
}
