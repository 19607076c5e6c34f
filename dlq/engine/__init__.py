"""The sift and what is made of it: runs, rollback, discard and restore, bounces and verification."""
