-- The catalogue of a fleet's archive: what is known of each frame, and where its record lies.

CREATE EXTENSION IF NOT EXISTS vector;


-- What of the archive is in the catalogue: a part is there whole, as of one version of its files.
CREATE TABLE fleet.parts (
    robot text NOT NULL,
    bank text NOT NULL,
    day date NOT NULL,
    first bigint NOT NULL,
    version text NOT NULL,
    PRIMARY KEY (robot, bank, day, first)
);

CREATE TABLE fleet.sessions (
    robot text NOT NULL,
    bank text NOT NULL,
    session bigint NOT NULL,
    name text NOT NULL,
    start_ns bigint NOT NULL,
    map_id text NOT NULL,
    received bigint NOT NULL,
    gated bigint NOT NULL,
    dropped bigint NOT NULL,
    poses_missing bigint NOT NULL,
    PRIMARY KEY (robot, bank, session)
);

CREATE TABLE fleet.frames (
    robot text NOT NULL,
    bank text NOT NULL,
    id bigint NOT NULL,
    day date NOT NULL, -- of the part that the frame is in
    first bigint NOT NULL, -- id of that part
    session bigint NOT NULL,
    camera text NOT NULL,
    stamp_ns bigint NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    tier text NOT NULL,
    bytes integer NOT NULL,
    frame_id text,
    label text,
    x float8,
    y float8,
    z float8,
    qx float8,
    qy float8,
    qz float8,
    qw float8,
    reference text,
    needs bigint,
    texts text[],
    words tsvector, -- of texts, label and session's name, without case and accents
    descriptor halfvec, -- whole numbers, which 16 bits hold exactly
    PRIMARY KEY (robot, bank, id)
);
CREATE INDEX frames_by_stamp ON fleet.frames (stamp_ns);
CREATE INDEX frames_by_robot ON fleet.frames (robot, stamp_ns);
CREATE INDEX frames_by_label ON fleet.frames (label, stamp_ns) WHERE label IS NOT NULL;
CREATE INDEX frames_by_place ON fleet.frames USING gist (point(x, y)) WHERE x IS NOT NULL;
CREATE INDEX frames_by_words ON fleet.frames USING gin (words);
-- One for each kind of descriptor. Half as many neighbours (m = 8) took half as long to keep, and
-- found 0.89 of the ten likest of a million where these found 0.93 and more. With pgvector's own
-- ef_construction (64) nothing leads to some rows, however long one looks: among ten million one of
-- eleven. 200 takes half as long again.
CREATE INDEX frames_by_look ON fleet.frames
    USING hnsw ((descriptor::halfvec(128)) halfvec_cosine_ops)
    WITH (ef_construction = 200)
    WHERE vector_dims(descriptor) = 128;
CREATE INDEX frames_by_gradients ON fleet.frames
    USING hnsw ((descriptor::halfvec(64)) halfvec_cosine_ops)
    WITH (ef_construction = 200)
    WHERE vector_dims(descriptor) = 64;
