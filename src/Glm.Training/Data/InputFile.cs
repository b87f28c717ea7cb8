using System.ComponentModel;
using System.Diagnostics;
using System.IO.Compression;

namespace Glm.Training;

/// <summary>A text file of training data, plain or compressed; its name tells how it is read.</summary>
internal static class InputFile
{
    private static readonly string[] Formats = [".txt", ".jsonl"];
    private static readonly string[] Compressions = ["", ".gz", ".xz", ".zst"];

    /// <summary>Whether the name ends in a format that can be read, plain or compressed.</summary>
    public static bool IsKnown(string path) => Formats.Any(format => Compressions.Any(compression => path.EndsWith(format + compression, StringComparison.OrdinalIgnoreCase)));

    /// <summary>Whether the file holds one JSON document on each line (otherwise it is one document).</summary>
    public static bool IsJsonLines(string path) => Compressions.Any(compression => path.EndsWith(".jsonl" + compression, StringComparison.OrdinalIgnoreCase));

    /// <summary>Files as they are, folders as the readable files below them in the order of their names.</summary>
    /// <exception cref="GlmException">A path does not exist, or names no format that can be read, or there is nothing to read.</exception>
    public static List<string> Expand(IReadOnlyList<string> inputs)
    {
        var files = new List<string>();
        foreach (string input in inputs)
        {
            if (Directory.Exists(input))
                files.AddRange(Directory.EnumerateFiles(input, "*", SearchOption.AllDirectories).Where(IsKnown).Order(StringComparer.Ordinal));
            else if (!File.Exists(input))
                throw new GlmException($"{input}: no such file or folder");
            else if (IsKnown(input))
                files.Add(input);
            else
                throw new GlmException($"{input}: expected a name that ends in .txt or .jsonl, plain or with .gz, .xz or .zst");
        }
        return files.Count > 0 ? files : throw new GlmException($"{(inputs.Count == 0 ? "no inputs given" : inputs[0])}: no .txt or .jsonl files (plain or .gz, .xz, .zst) to read");
    }

    /// <summary>The decompressed bytes. Damage that shows at the end of the file is an error of the last read.</summary>
    /// <exception cref="GlmException">The file cannot be opened, or the program that decompresses it is missing.</exception>
    public static Stream Open(string path)
    {
        string extension = Path.GetExtension(path).ToLowerInvariant();
        if (extension == ".xz") return new ToolStream(path, "xz");
        if (extension == ".zst") return new ToolStream(path, "zstd");
        try
        {
            var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, FileOptions.SequentialScan);
            return extension == ".gz" ? new GZipStream(file, CompressionMode.Decompress) : file;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }

    /// <summary>The output of <c>TOOL -dc FILE</c>. The read that finds its end also checks that the program succeeded.</summary>
    private sealed class ToolStream : Stream
    {
        private readonly string _path;
        private readonly Process _process;
        private readonly Task<string> _messages;

        public ToolStream(string path, string tool)
        {
            _path = path;
            var start = new ProcessStartInfo(tool) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
            foreach (string argument in (string[])["-dc", "--", path]) start.ArgumentList.Add(argument);
            try
            {
                _process = Process.Start(start)!;
            }
            catch (Win32Exception error)
            {
                throw new GlmException($"{path}: needs the program '{tool}' to be decompressed, which cannot be started: {error.Message}", error);
            }
            _process.StandardInput.Close();
            _messages = _process.StandardError.ReadToEndAsync();
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            int read = _process.StandardOutput.BaseStream.Read(buffer);
            if (read > 0 || buffer.IsEmpty) return read;
            _process.WaitForExit();
            if (_process.ExitCode != 0)
                throw new GlmException($"{_path}: cannot be decompressed: {_process.StartInfo.FileName} ended with {_process.ExitCode}: {_messages.Result.Split('\n')[0].Trim()}");
            return 0;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                if (!_process.HasExited) _process.Kill();
                _process.Dispose();
            }
            base.Dispose(disposing);
        }

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() { }
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
