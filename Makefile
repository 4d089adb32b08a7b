# SPDX-License-Identifier: MIT
# shmipc: everything that is built lands in build/
#
#   make           library and command      make demo    the main job, once
#   make check     all tests                make install DESTDIR= PREFIX=

VERSION	:= 0.1.0
SOMAJOR	:= 0
B	?= build
CC	?= gcc
PREFIX	?= /usr/local

WARN	:= -Wall -Wextra -Wshadow -Wconversion
CFLAGS	?= -O2 -g
INC	:= -Iinclude -Iinclude/uapi
ALL_CFLAGS = -std=c11 $(WARN) $(INC) -fPIC -pthread -MMD -MP $(CFLAGS) $(EXTRA_CFLAGS)
ALL_LDFLAGS = -pthread $(LDFLAGS) $(EXTRA_LDFLAGS)

LIB_SRC	:= $(wildcard lib/*.c)
LIB_OBJ	:= $(LIB_SRC:%.c=$(B)/obj/%.o)
TOOL_SRC := $(wildcard tools/*.c tools/bench/*.c)
TOOL_OBJ := $(TOOL_SRC:%.c=$(B)/obj/%.o)

all: $(B)/libshmipc.a $(B)/libshmipc.so $(B)/shmipc

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c $< -o $@

$(B)/libshmipc.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/libshmipc.so.$(VERSION): $(LIB_OBJ) lib/shmipc.map
	$(CC) -shared -Wl,-soname,libshmipc.so.$(SOMAJOR) -Wl,--version-script=lib/shmipc.map \
		-o $@ $(LIB_OBJ) $(ALL_LDFLAGS)

$(B)/libshmipc.so: $(B)/libshmipc.so.$(VERSION)
	ln -sf $(<F) $(B)/libshmipc.so.$(SOMAJOR)
	ln -sf $(<F) $@

$(B)/shmipc: $(TOOL_OBJ) $(B)/libshmipc.a
	$(CC) -o $@ $^ $(ALL_LDFLAGS) -ljansson

clean:
	rm -rf $(B)

-include $(LIB_OBJ:.o=.d) $(TOOL_OBJ:.o=.d)
.PHONY: all clean
