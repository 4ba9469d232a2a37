//! Which network of a file is an average of the other, told by the names that they stand under.

/// Which of two networks in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that gradients train: student, online network, query encoder.
    Student,
    /// Its moving average: teacher, target network, key or momentum encoder.
    Teacher,
}

/// Words of a prefix that tell a role. An average's are looked for first: `ema.student` is one.
/// Long words may have an ending, as in `targetnet`; short ones must be whole, as in `encoder_k`.
const WORDS: [(Role, &[&str]); 2] = [
    (
        Role::Teacher,
        &["teacher", "momentum", "target", "average", "shadow", "ema", "swa", "avg", "key", "k"],
    ),
    (Role::Student, &["student", "online", "query", "base", "q"]),
];

impl Role {
    /// Its name, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Role::Student => "student",
            Role::Teacher => "teacher",
        }
    }

    /// The role that a prefix such as `state_dict.module.momentum_encoder.` tells by itself.
    fn told_by(prefix: &str) -> Option<Role> {
        let words = words(prefix);
        let has = |known: &&str| {
            let same = |word: &String| word == known || known.len() > 4 && word.starts_with(known);
            words.iter().any(same)
        };
        WORDS.iter().find(|(_, known)| known.iter().any(has)).map(|(role, _)| *role)
    }
}

/// The roles of a file's networks. Under a name that tells nothing (`model`, `state_dict`,
/// `backbone`, none at all) is the student, if an average is beside it and no other student.
pub fn roles(prefixes: &[&str]) -> Vec<Option<Role>> {
    let told: Vec<Option<Role>> = prefixes.iter().map(|prefix| Role::told_by(prefix)).collect();
    let has = |role| told.contains(&Some(role));
    let others = (has(Role::Teacher) && !has(Role::Student)).then_some(Role::Student);
    told.into_iter().map(|role| role.or(others)).collect()
}

/// The words of a prefix in lower case: between anything but letters, and within `modelEMA` or
/// `targetNet`.
fn words(prefix: &str) -> Vec<String> {
    let (mut words, mut before) = (vec![String::new()], ' ');
    for letter in prefix.chars() {
        if !letter.is_alphabetic() || letter.is_uppercase() && before.is_lowercase() {
            words.push(String::new());
        }
        if letter.is_alphabetic() {
            words.last_mut().expect("never empty").extend(letter.to_lowercase());
        }
        before = letter;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of networks as published code names them; the second is the average.
    #[test]
    fn averages_are_found_in_either_order() {
        for (student, teacher) in [
            ("student.module.backbone.", "teacher.module.backbone."),
            ("student_backbone.", "teacher_backbone."),
            ("state_dict.", "state_dict_ema."),
            ("model.", "model_ema.module."),
            ("model.", "ema_model."),
            ("model.", "modelEMA."),
            ("state_dict.", "ema."),
            ("", "ema."),
            ("net.", "averaged_model.module."),
            ("state_dict.module.base_encoder.", "state_dict.module.momentum_encoder."),
            ("state_dict.module.encoder_q.", "state_dict.module.encoder_k."),
            ("query_encoder.", "key_encoder."),
            ("backbone.", "momentum_backbone."),
            ("state_dict.backbone.", "state_dict.backbone_momentum."),
            ("online_network.encoder.", "target_network.encoder."),
            ("onlineNet.", "targetNet."),
            ("onlinenet.", "targetnet."),
            ("encoder.", "encoder2.shadow."),
            ("student.", "ema.student."),
        ] {
            let both = [Some(Role::Student), Some(Role::Teacher)];
            assert_eq!(roles(&[student, teacher]), both, "{student} {teacher}");
            assert_eq!(roles(&[teacher, student]), [both[1], both[0]], "{teacher} {student}");
        }
    }

    #[test]
    fn a_name_alone_may_tell_nothing() {
        for prefix in
            ["", "model.", "state_dict.", "module.backbone.", "schema.", "basement.", "monkey."]
        {
            assert_eq!(roles(&[prefix]), [None], "{prefix}");
        }
        // Whose average the teacher is, is said; what the third one is, is not.
        let three = roles(&["teacher.", "student.", "probe."]);
        assert_eq!(three, [Some(Role::Teacher), Some(Role::Student), None]);
    }
}
