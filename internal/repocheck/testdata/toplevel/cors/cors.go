package cors
