"""Case folder, signed ledger, seals: who did what, when, and proof that it was not changed since."""
