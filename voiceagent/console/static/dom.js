// @ts-check
// Building the page. Text from callers, models and tools only ever becomes text nodes and plain attributes:
// nothing here, or anywhere in the page, parses markup.

/**
 * Make an element.
 * @param {string} tag
 * @param {Record<string, any> | null} attributes `on…` takes a listener, `class` a string, false and null leave out
 * @param {...(Node | string | number | null | undefined | false | Array<any>)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...nodes(children));
  return element;
}

/** @param {Array<any>} children */
function nodes(children) {
  return children.flat(3).filter((child) => child !== null && child !== undefined && child !== false);
}

/**
 * Replace what is in `element`.
 * @param {Element} element
 * @param {...any} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children).map((child) => (child instanceof Node ? child : String(child))));
}

/**
 * Set a text only when it differs, so that selections and screen readers are left in peace.
 * @param {Element} element
 * @param {unknown} text
 */
export function setText(element, text) {
  const wanted = String(text ?? "");
  if (element.textContent !== wanted) element.textContent = wanted;
}

/**
 * Keep `parent`'s children in step with `items`, one element per key, moving and reusing what is there.
 * @template T
 * @param {Element} parent
 * @param {T[]} items
 * @param {(item: T) => string} key
 * @param {(item: T) => HTMLElement & {update?: (item: T) => void}} make
 */
export function reconcile(parent, items, key, make) {
  const known = new Map();
  for (const child of parent.children) known.set(/** @type {any} */ (child).vaKey, child);
  /** @type {Element | null} */
  let previous = null;
  for (const item of items) {
    const name = key(item);
    let child = known.get(name);
    known.delete(name);
    if (!child) {
      child = make(item);
      child.vaKey = name;
    }
    child.update?.(item);
    const next = previous ? previous.nextElementSibling : parent.firstElementChild;
    if (child !== next) parent.insertBefore(child, next);
    previous = child;
  }
  for (const child of known.values()) child.remove();
}
