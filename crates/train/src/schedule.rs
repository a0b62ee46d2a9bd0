//! The learning rate as a function of the optimiser step (reference 5.3).

use crate::config::{Decay, ScheduleConfig};

/// Learning rate of `step`, counted from 0.
pub fn learning_rate(config: &ScheduleConfig, step: usize) -> f32 {
    let (s, warmup, total) = (
        (step + 1) as f32,
        config.warmup_steps as f32,
        config.steps as f32,
    );
    if s < warmup {
        return config.learning_rate * s / warmup;
    }
    let factor = match config.decay {
        Decay::Cosine => {
            let share = ((s - warmup) / (total - warmup).max(1.0)).clamp(0.0, 1.0);
            let cosine = 0.5 * (1.0 + (std::f32::consts::PI * share).cos());
            config.final_share + (1.0 - config.final_share) * cosine
        }
        Decay::InverseSqrt => {
            let timescale = config.timescale.max(1) as f32;
            let cooldown = if config.cooldown_steps == 0 {
                1.0
            } else {
                ((total - s) / config.cooldown_steps as f32).clamp(0.0, 1.0)
            };
            cooldown / ((s + timescale - warmup) / timescale).sqrt()
        }
    };
    config.learning_rate * factor
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(decay: Decay) -> ScheduleConfig {
        ScheduleConfig {
            steps: 110,
            epochs: None,
            learning_rate: 1.0,
            warmup_steps: 10,
            drop_path: 0.0,
            dropout: 0.0,
            decay,
            final_share: 0.1,
            timescale: 20,
            cooldown_steps: 50,
            weight_decay: 0.0,
            betas: [0.9, 0.999],
            clip_norm: 1.0,
            ema: 0.99,
            groups: vec![],
            lora: None,
        }
    }

    #[test]
    fn cosine_rises_peaks_and_ends_at_its_share() {
        let c = config(Decay::Cosine);
        assert!((learning_rate(&c, 4) - 0.5).abs() < 1e-6);
        assert!((learning_rate(&c, 9) - 1.0).abs() < 1e-6);
        assert!((learning_rate(&c, 59) - 0.55).abs() < 1e-6);
        assert!((learning_rate(&c, 109) - 0.1).abs() < 1e-6);
    }

    #[test]
    fn inverse_square_root_follows_the_reference_formula() {
        // lr(s) = min(1, s/w) * 1/sqrt((s + t - w)/t) * min(1, (T - s)/c), s = step + 1
        let c = config(Decay::InverseSqrt);
        assert!((learning_rate(&c, 29) - (20.0_f32 / 40.0).sqrt()).abs() < 1e-6);
        assert!((learning_rate(&c, 84) - (25.0 / 50.0) * (20.0_f32 / 95.0).sqrt()).abs() < 1e-6);
    }
}
