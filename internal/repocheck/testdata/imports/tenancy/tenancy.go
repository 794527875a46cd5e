package tenancy
