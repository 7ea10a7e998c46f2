/*
 * What of an engine's mounts a VM gets: the three small files that tell names, and nothing else. In a confidential
 * container they are there when the annotation io.cloister.files is "true", since its policy has to list them.
 */
#pragma once

#include "runtime/shim/volumes.h"

/* `out` is as of host_volumes_read, which it calls; its `n_alone` is set. Fails LIMIT, OS. */
FALLIBLE given_files_read(const struct container_spec *spec, struct host_volumes *out, struct err *err);

/*
 * Says on standard error what else config.json asks for and a VM has not: a person who typed it should not look for it. Fails
 * UNSUPPORTED for a folder of the host: what is written there would be lost.
 */
FALLIBLE given_files_check(const struct container_spec *spec, bool is_confidential, struct err *err);
