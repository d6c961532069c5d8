import base64
import io

import numpy as np
from PIL import Image

from tsenh.recognition import contact_sheet
from tsenh.recognition.contact_sheet import Finding


def test_the_face_that_was_taken_has_a_green_frame():
  image = np.zeros([400, 800, 3], np.uint8)
  boxes = np.array([[100, 100, 300, 300], [500, 100, 700, 300]], float)
  data = base64.b64decode(contact_sheet.picture(image, boxes, 1))
  small = np.asarray(Image.open(io.BytesIO(data)))
  assert small.shape == (80, 160, 3)
  assert small[40, 20, 0] > 150 and small[40, 20, 1] < 90
  assert small[40, 100, 1] > 150 and small[40, 100, 0] < 90


def test_a_page_shows_each_kind_and_no_name_is_markup():
  findings = [
    Finding("<b>.jpg", "an empty file", False, ""),
    Finding("two.jpg", "2 faces", True, "AAAA"),
    Finding("good.jpg", "", True, "BBBB"),
  ]
  report = contact_sheet.Report([("<i>.txt", "a reason")])
  for finding in findings:  # Of a shard each.
    report.add([finding])
  page = report.page("a & b")
  assert "&lt;b&gt;.jpg  an empty file" in page and "<b>" not in page
  assert "a &amp; b" in page
  assert page.count("<img ") == 2
  lost, several, good, others = page.split("<h2>")[1:]
  assert "No feature (1)" in lost and "two.jpg" in several
  assert "good.jpg" in good
  assert "Passed over (1)" in others and "&lt;i&gt;.txt: a reason" in others
  assert report.told()["passed_over"]["counts"] == {"a reason": 1}
