// Dark or light: as the system has it, or as somebody has chosen here.

const KEY = "wharf-theme";

export function followTheme(changed) {
  const choice = document.getElementById("theme");
  const apply = () => {
    document.documentElement.dataset.theme = choice.value;
    changed();
  };
  const kept = localStorage.getItem(KEY);
  choice.value = [...choice.options].some(({ value }) => value === kept) ? kept : "";
  choice.addEventListener("change", () => {
    localStorage.setItem(KEY, choice.value);
    apply();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  apply();
}
