//! What models and experiments there are, for people.

use wharf_models::experiments::experiments;
use wharf_models::models;

use crate::failure;

/// Runs `wharf models list`.
pub(crate) fn list() {
    let mut text = format!(
        "{:22} {:9} {:8} {:12} what it is, and its system calls per message\n",
        "model", "pattern", "system", "limit"
    );
    for model in models() {
        text += &format!(
            "{:22} {:9} {:8} {:12} {}; calls: {}\n",
            model.name,
            model.pattern,
            model.system,
            model.limit,
            model.summary,
            model.calls_per_message
        );
    }
    text += "\nexperiment, for wharf models experiment NAME\n";
    for experiment in experiments() {
        text += &format!("{:22} {}\n", experiment.name, experiment.summary);
    }
    failure::print(text);
}
