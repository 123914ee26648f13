"""Wire types as documents: what each command shows to a person."""
