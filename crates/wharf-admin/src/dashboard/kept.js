// What the browser keeps: in this tab, or for all of its tabs. Where it may keep nothing, it is until the page is left.

function store(open) {
  const memory = new Map();
  // A browser that keeps nothing throws as soon as it is asked for the place.
  const attempt = (use) => {
    try {
      return use(open());
    } catch {
      return null;
    }
  };
  return {
    get: (key) => attempt((place) => place.getItem(key)) ?? memory.get(key) ?? null,
    set: (key, text) => {
      memory.set(key, text);
      attempt((place) => place.setItem(key, text));
    },
    forget: (key) => {
      memory.delete(key);
      attempt((place) => place.removeItem(key));
    },
  };
}

export const inTab = store(() => sessionStorage);
export const inBrowser = store(() => localStorage);
