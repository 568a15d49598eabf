//! PHP: stays in one stage. What its images compile is made for the image that compiles it, and what could stay behind is little.

use super::survey::{self, Survey};
use super::{Refusal, Split};
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts};

/// Always declines. The commands that build extensions put them, their configuration and the libraries they are linked to into the image's own folders
/// (<https://hub.docker.com/_/php>), so the final image would have to run them as well; without them, Composer is all that a build stage would keep.
pub(super) fn split(_: &Application<'_>, image: &ImageFacts<'_>, survey: &Survey) -> Result<Split, Refusal> {
    let extension = survey.commands.iter().find(|(_, command)| {
        let words = survey::words(command);
        let program = words.first().copied().unwrap_or_default();
        program.starts_with("docker-php-ext-")
            || ["pecl", "pear", "phpize", "install-php-extensions"].contains(&program)
    });
    if let Some((index, command)) = extension {
        let name = survey::words(command).first().map(|word| word.escape_debug().to_string()).unwrap_or_default();
        let detail = format!(
            "{}: what {name} makes belongs to the image that it runs in, and needs that image's libraries",
            image.place(*index)
        );
        return Err((SkipReason::RunTimeInputs, detail));
    }
    let detail = "PHP runs its sources, and nothing is compiled: Composer is all that would stay behind".to_owned();
    Err((SkipReason::NoBuildStep, detail))
}
