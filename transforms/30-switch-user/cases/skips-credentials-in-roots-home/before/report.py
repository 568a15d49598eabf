print("no report today")
