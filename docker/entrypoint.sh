#!/bin/bash
# Sources ROS and the workspace, then becomes the command.
set -e
. /opt/ros/jazzy/setup.bash
. /ws/install/local_setup.bash
exec "$@"
