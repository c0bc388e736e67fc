# Finds SimGrid 3.32 or later, with or without the CMake package that upstream installs (Debian's has
# none). Defines SimGrid::SimGrid and SimGrid_VERSION. Set SIMGRID_ROOT for a private installation.
find_path(SimGrid_INCLUDE_DIR simgrid/s4u/Engine.hpp HINTS ${SIMGRID_ROOT} $ENV{SIMGRID_ROOT}
  PATH_SUFFIXES include)
find_library(SimGrid_LIBRARY simgrid HINTS ${SIMGRID_ROOT} $ENV{SIMGRID_ROOT}
  PATH_SUFFIXES lib lib64)

# The version stands in simgrid/version.h (3.32) or simgrid/config.h (some 3.x and 4.x builds).
foreach(header version.h config.h)
  if(SimGrid_INCLUDE_DIR AND NOT SimGrid_VERSION AND
     EXISTS ${SimGrid_INCLUDE_DIR}/simgrid/${header})
    file(STRINGS ${SimGrid_INCLUDE_DIR}/simgrid/${header} simgrid_lines
      REGEX "#define[ \t]+SIMGRID_VERSION_(MAJOR|MINOR|PATCH)")
    string(REGEX REPLACE ".*VERSION_MAJOR[ \t]+([0-9]+).*" "\\1" simgrid_major "${simgrid_lines}")
    string(REGEX REPLACE ".*VERSION_MINOR[ \t]+([0-9]+).*" "\\1" simgrid_minor "${simgrid_lines}")
    if(simgrid_major MATCHES "^[0-9]+$" AND simgrid_minor MATCHES "^[0-9]+$")
      set(SimGrid_VERSION ${simgrid_major}.${simgrid_minor})
    endif()
  endif()
endforeach()

# The backend shares bandwidth by SimGrid's solver but brings its own routes and bounds, for which it
# needs headers of the kernel that every release since 3.32 installs, 4.x included.
set(simgrid_missing "")
if(SimGrid_INCLUDE_DIR)
  foreach(header kernel/Timer.hpp kernel/resource/Action.hpp kernel/resource/Model.hpp
      kernel/routing/NetPoint.hpp kernel/routing/NetZoneImpl.hpp s4u/Comm.hpp s4u/NetZone.hpp)
    if(NOT EXISTS ${SimGrid_INCLUDE_DIR}/simgrid/${header})
      list(APPEND simgrid_missing simgrid/${header})
    endif()
  endforeach()
  if(simgrid_missing)
    message(WARNING "SimGrid in ${SimGrid_INCLUDE_DIR} lacks ${simgrid_missing}")
    set(SimGrid_INCLUDE_DIR SimGrid_INCLUDE_DIR-NOTFOUND)
  elseif(SimGrid_VERSION VERSION_GREATER_EQUAL 4)
    message(STATUS "SimGrid ${SimGrid_VERSION}: by feature checks; tested with 3.32 only")
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(SimGrid REQUIRED_VARS SimGrid_LIBRARY SimGrid_INCLUDE_DIR
  VERSION_VAR SimGrid_VERSION
  REASON_FAILURE_MESSAGE "install libsimgrid-dev or set SIMGRID_ROOT")

if(SimGrid_FOUND AND NOT TARGET SimGrid::SimGrid)
  add_library(SimGrid::SimGrid UNKNOWN IMPORTED)
  set_target_properties(SimGrid::SimGrid PROPERTIES
    IMPORTED_LOCATION "${SimGrid_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${SimGrid_INCLUDE_DIR}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${SimGrid_INCLUDE_DIR}")
endif()
mark_as_advanced(SimGrid_INCLUDE_DIR SimGrid_LIBRARY)
