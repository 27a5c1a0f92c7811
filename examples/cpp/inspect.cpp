// Inspect one image with a model exported by `kizu export`: no preprocessing, no other library than OpenVINO.
//
//     inspect part.onnx image.ppm
//
// prints the score, the threshold, the p-value and the verdict, and writes the anomaly map to map.pgm.

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <openvino/openvino.hpp>

struct Image {
    std::size_t height = 0, width = 0;
    std::vector<std::uint8_t> pixels;  // rows from the top, RGB RGB RGB
};

// A colour PPM file (P6, 8 bits). With OpenCV instead: cv::imread, and a model exported with --colour bgr.
Image read_ppm(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string kind;
    std::size_t largest = 0;
    Image image;
    auto skip_comments = [&file] {
        while ((file >> std::ws).peek() == '#') {
            std::string comment;
            std::getline(file, comment);
        }
    };
    file >> kind;
    skip_comments();
    file >> image.width;
    skip_comments();
    file >> image.height;
    skip_comments();
    file >> largest;
    file.get();  // the one white space before the pixels
    if (!file || kind != "P6" || largest != 255) throw std::runtime_error(path + ": not an 8-bit colour PPM file");
    image.pixels.resize(image.height * image.width * 3);
    file.read(reinterpret_cast<char*>(image.pixels.data()), static_cast<std::streamsize>(image.pixels.size()));
    if (!file) throw std::runtime_error(path + ": cut short");
    return image;
}

// The map as a grey picture: black is 0, mid-grey the pixel threshold. Any picture viewer opens it.
void write_map(const std::string& path, const ov::Tensor& map, float threshold) {
    const auto shape = map.get_shape();
    std::ofstream file(path, std::ios::binary);
    file << "P5\n" << shape[1] << " " << shape[0] << "\n255\n";
    const float* value = map.data<float>();
    for (std::size_t i = 0; i < map.get_size(); ++i) {
        file.put(static_cast<char>(static_cast<std::uint8_t>(std::min(value[i] / threshold * 127.5F, 255.0F))));
    }
    if (!file.flush()) throw std::runtime_error(path + ": cannot be written");
}

int main(int count, char** arguments) try {
    if (count != 3) throw std::runtime_error("usage: inspect part.onnx image.ppm");

    // Once, when the program starts. Without f32, newer processors compute in bfloat16 and scores differ.
    ov::Core core;
    auto model = core.compile_model(arguments[1], "CPU", ov::hint::inference_precision(ov::element::f32));
    auto request = model.create_infer_request();

    // For every image, of any size.
    Image image = read_ppm(arguments[2]);
    request.set_tensor("image", ov::Tensor(ov::element::u8, {image.height, image.width, 3}, image.pixels.data()));
    request.infer();
    const float score = request.get_tensor("score").data<float>()[0];
    const float threshold = request.get_tensor("threshold").data<float>()[0];
    const float pixel_threshold = request.get_tensor("pixel_threshold").data<float>()[0];
    const float p_value = request.get_tensor("p_value").data<float>()[0];
    const bool ng = request.get_tensor("ng").data<bool>()[0];
    const bool review = request.get_tensor("review").data<bool>()[0];
    write_map("map.pgm", request.get_tensor("anomaly_map"), pixel_threshold);

    std::cout.precision(9);
    std::cout << "score " << score << "\nthreshold " << threshold << "\np_value " << p_value << "\nverdict "
              << (ng ? "ng" : review ? "review" : "ok") << "\n";
    return 0;
} catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 2;
}
