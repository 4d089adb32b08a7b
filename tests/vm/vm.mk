# SPDX-License-Identifier: MIT
# vm.mk - tests of the module in an emulated machine; included by the top Makefile
#
#   make vm                   a shell in a machine with the module loaded
#   make check-vm             the module's tests, on the kernel KERNEL
#   make check-kernels        the same on each of KERNELS
KERNEL	?= 6.1
KERNELS	?= 6.1 6.12
B	?= build
KSELFTEST ?= $(or $(shell tools/setup kselftest 2>/dev/null),$(HOME)/.cache/shmipc/kst)

# Static: the machine has nothing but busybox.
VM_TESTS := $(patsubst %.c,$(B)/%,$(wildcard tests/kmod/*.c))

$(B)/tests/kmod/%: tests/kmod/%.c tests/kmod/dev.h $(wildcard include/uapi/linux/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wno-sign-compare -Iinclude/uapi -isystem $(KSELFTEST) -static -pthread $< -o $@

vm-tests: $(VM_TESTS)

check-vm: vm-tests
	@B=$(B) tests/vm/check $(KERNEL)

check-kernels: vm-tests
	@B=$(B) tests/vm/check $(KERNELS)

vm: vm-tests
	@B=$(B) tests/vm/check -i $(KERNEL)

.PHONY: vm vm-tests check-vm check-kernels
