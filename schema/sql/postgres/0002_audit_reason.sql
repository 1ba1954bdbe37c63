-- Why a command was refused; absent for what was done.
ALTER TABLE audit ADD COLUMN reason TEXT;
