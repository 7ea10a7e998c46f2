/* What a CreateContainer asks for beside the image and its process: read, checked for its form, and put before policy. */
#pragma once

#include "guest/agent/service.h"
#include "guest/container/hidden_paths.h"
#include "guest/container/pod_sysctls.h"
#include "guest/container/volumes.h"

struct wishes { /* all borrow from the request */
    struct volumes      volumes;
    struct hidden_paths hidden;
    struct pod_sysctls  sysctls;
};

/* Fails MALFORMED, LIMIT, UNSUPPORTED for a sysctl that is none of a pod's. */
FALLIBLE wishes_read(const Agent__CreateContainerRequest *asked, struct wishes *out, struct err *err);

/* The whole request as policy judges it; borrows from both. */
struct policy_request wishes_as_policy_sees(const Agent__CreateContainerRequest *asked, const struct wishes *wishes);

/*
 * Asks the owner's rules for what stands beside CreateContainer, each by a name of its own: rules of an owner who never
 * heard of it do not allow it by allowing containers. Fails DENIED.
 */
FALLIBLE wishes_ask_rules(struct service *s, const struct container *c, const Agent__CreateContainerRequest *asked, const struct wishes *wishes,
                          struct err *err);

/* `n` files of a request behind the `n_files` that there are, of VOLUME_FILES_MAX. Fails LIMIT. */
FALLIBLE wishes_add_files(Agent__File *const *from, size_t n, struct volume_file *files, size_t *n_files, struct err *err);
