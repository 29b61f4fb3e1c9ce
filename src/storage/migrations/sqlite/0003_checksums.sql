-- CRC-32 over the other columns of the row, so that a flipped bit shows; rows of before have none.
ALTER TABLE journal ADD COLUMN checksum INTEGER;
ALTER TABLE consent ADD COLUMN checksum INTEGER;
ALTER TABLE consent_history ADD COLUMN checksum INTEGER;
ALTER TABLE member ADD COLUMN checksum INTEGER;
ALTER TABLE member_history ADD COLUMN checksum INTEGER;
