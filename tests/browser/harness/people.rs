//! Who there is: the demo's seed.toml, as far as journeys need it.

/// Somebody of the seed.
#[derive(Clone, Copy, Debug)]
pub struct Person {
    pub login_name: &'static str,
    pub name: &'static str,
    pub password: &'static str,
    pub provider: &'static str,
}

const fn person(
    login_name: &'static str,
    name: &'static str,
    password: &'static str,
    provider: &'static str,
) -> Person {
    Person { login_name, name, password, provider }
}

const SUNRISE: &str = "SUNRISE-IL";

/// Two ordinary users of a provider with Unified Login; bruno is tied already.
pub const AMINA: Person = person("amina", "Amina Diallo", "Amina#2026", SUNRISE);
pub const BRUNO: Person = person("bruno", "Bruno Castillo", "Bruno#2026", SUNRISE);
/// A Provider Admin.
pub const PAUL: Person = person("paul", "Paul Novak", "Paul##2026", SUNRISE);
/// Her password is temporary.
pub const TINA: Person = person("tina", "Tina Okafor", "Tina#Temp1", SUNRISE);
/// Locked by three wrong passwords.
pub const LENA: Person = person("lena", "Lena Fischer", "Lena##2026", SUNRISE);
/// Locked by an admin.
pub const OMAR: Person = person("omar", "Omar Haddad", "Omar##2026", SUNRISE);
/// Deactivated.
pub const DORA: Person = person("dora", "Dora Lindqvist", "Dora##2026", SUNRISE);
/// Of a provider without Unified Login.
pub const CARLA: Person = person("carla", "Carla Jimenez", "Carla#2026", "CEDAR-OR");
/// Of an inactive provider.
pub const INES: Person = person("ines", "Ines Moreau", "Ines##2026", "DORMANT-NV");
/// A Therap Admin.
pub const ROOT: Person = person("root", "Ruth Oot", "Root##2026", "THERAP");
/// Known to Therap Services alone.
pub const ZOE: Person = person("zoe", "Zoe Martin", "", SUNRISE);

impl Person {
    /// As the stand-in for Therap Services names them.
    pub fn key(&self) -> String {
        format!("{}/{}", self.provider, self.login_name)
    }
}
