"""How each platform is read: one small module a platform, all behind interfaces.Platform."""
