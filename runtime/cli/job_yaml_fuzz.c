#include "runtime/cli/job_yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(job_yaml) struct job_yaml job = { 0 };
    struct err                     err;

    if (job_yaml_read((struct bytes){ data, size }, &job, &err) &&
        (!job.image || !*job.image || job.n_args > JOB_YAML_ARGS_MAX || job.volumes.n > VOLUME_DISKS_MAX))
        __builtin_trap();
    return 0;
}
