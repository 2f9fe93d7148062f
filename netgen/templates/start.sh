if [[ -n $latest ]]; then
  command+=("--snapshot=$latest")
elif [[ -f $weights ]]; then  #: weights
  command+=("--weights=$weights")  #: weights
else  #: weights
  echo "no $weights@@source: training starts from random weights" >&2  #: optional_weights
  echo "no $weights, of which a part stays as it is: train that first" >&2  #: needed_weights
  exit 1  #: needed_weights
fi
