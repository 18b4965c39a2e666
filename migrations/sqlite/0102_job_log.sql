-- Output of jobs in segments, appended in the order of arrival: a rowid table keeps SQLite writing at one place.
create table job_log (
    job_id text not null,
    -- Bytes of the job's log before and up to the end of this segment.
    start bigint not null,
    finish bigint not null,
    -- Bytes of output that were dropped within.
    gap_bytes bigint not null,
    -- 0: as it is, 1: zstd.
    encoding bigint not null,
    data blob not null
);
create unique index job_log_by_start on job_log (job_id, start);
