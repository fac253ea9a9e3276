// Dark or light: as the system has it, or as somebody has chosen here.

import { inBrowser } from "./kept.js";

const KEY = "wharf-theme";

export function followTheme(changed) {
  const choice = document.getElementById("theme");
  const apply = () => {
    document.documentElement.dataset.theme = choice.value;
    changed();
  };
  const kept = inBrowser.get(KEY);
  choice.value = [...choice.options].some(({ value }) => value === kept) ? kept : "";
  choice.addEventListener("change", () => {
    inBrowser.set(KEY, choice.value);
    apply();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  apply();
}
