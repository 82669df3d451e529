"""One suite for every frontend: each row of the contract is a test, and every frontend must pass all of them."""
