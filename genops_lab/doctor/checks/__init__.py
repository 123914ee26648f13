"""What the doctor looks at: each module examines one part and answers with its findings."""
